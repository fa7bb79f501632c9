"""Grafana dashboards: room, session, broadcaster and fleet, generated from code; and what provisions them."""
