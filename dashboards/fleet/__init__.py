"""The one view of the fleet that every page, route and metric shows, folded from what the broadcaster tells. Pure."""
