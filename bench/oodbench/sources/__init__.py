"""What a user hands over as data, as inputs: read without copies where that can be, without any code of a download."""
