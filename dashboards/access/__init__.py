"""Who may use the console: accounts, logins, tokens, and the guards that stand before every page and route."""
