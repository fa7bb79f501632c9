"""Everything that an operator can do, as REST under /api/v1 with an OpenAPI description."""
