"""Recipes of models that give inputs a density: what several files of `methods` judge and none owns."""
