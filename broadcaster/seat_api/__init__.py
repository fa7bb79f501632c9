"""The seat API: what admitted receivers ask by HTTPS, besides taking part in sessions."""
