"""The broadcaster that runs for days and hosts the sessions of many rooms, as operators order them."""
