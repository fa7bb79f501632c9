"""What Prometheus is told: metrics of the fleet, where the exporters of receivers are, rules and alerts."""
