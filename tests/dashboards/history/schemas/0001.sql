BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE reports (
	tsi VARCHAR NOT NULL, 
	json BLOB NOT NULL, 
	PRIMARY KEY (tsi), 
	FOREIGN KEY(tsi) REFERENCES sessions (tsi) ON DELETE CASCADE
);
INSERT INTO "reports" VALUES('0000000000000001',X'28B52FFD201EB50000807B2273657373696F6E223A223031227D010032F802');
CREATE TABLE seats (
	tsi VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	machine VARCHAR NOT NULL, 
	receiver_id VARCHAR NOT NULL, 
	outcome VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	target VARCHAR NOT NULL, 
	settled_seconds FLOAT, 
	bytes_received INTEGER NOT NULL, 
	catch_up_bytes INTEGER NOT NULL, 
	bytes_written INTEGER NOT NULL, 
	loss_ratio FLOAT NOT NULL, 
	repaired_blocks INTEGER NOT NULL, 
	PRIMARY KEY (tsi, position), 
	FOREIGN KEY(tsi) REFERENCES sessions (tsi) ON DELETE CASCADE
);
INSERT INTO "seats" VALUES('0000000000000001',0,'00','aa:bb:cc:dd:ee:00','00000000000000000000000000000000','verified','','/dev/sda',24.5,35000000000,500000,30000000000,0.001,17);
INSERT INTO "seats" VALUES('0000000000000001',1,'01','aa:bb:cc:dd:ee:01','00000000000000000000000000000001','failed','disk error at sector 2048','/dev/sda',NULL,35000000000,500000,30000000000,0.001,17);
CREATE TABLE sessions (
	tsi VARCHAR NOT NULL, 
	room VARCHAR NOT NULL, 
	image VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	ordered_by VARCHAR NOT NULL, 
	opened_at FLOAT NOT NULL, 
	ended_at FLOAT NOT NULL, 
	elapsed_seconds FLOAT NOT NULL, 
	end_reason VARCHAR NOT NULL, 
	disk_size INTEGER NOT NULL, 
	stored_bytes INTEGER NOT NULL, 
	bytes_on_wire INTEGER NOT NULL, 
	catch_up_bytes INTEGER NOT NULL, 
	datagrams_sent INTEGER NOT NULL, 
	repair_datagrams INTEGER NOT NULL, 
	expected_seats INTEGER NOT NULL, 
	seat_count INTEGER NOT NULL, 
	verified_count INTEGER NOT NULL, 
	PRIMARY KEY (tsi)
);
INSERT INTO "sessions" VALUES('0000000000000001','Lab','windows-11',3,'alice',1790000030.0,1790000060.0,25.5,'all seats have settled',1099511627776,34359738368,36000000000,1000000,25000000,250000,2,2,1);
CREATE INDEX sessions_by_end ON sessions (ended_at);
CREATE INDEX sessions_by_room ON sessions (room, ended_at);
COMMIT;
