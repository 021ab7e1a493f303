"""The world of coloured shapes from which the embedded data and the tiny model are made."""
