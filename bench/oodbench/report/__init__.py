"""From records and scores to what people read: tables, pictures, the papers' own numbers. No torch, no images."""
