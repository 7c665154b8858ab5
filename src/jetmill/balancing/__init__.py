"""How many jets of each class and bin are taken, which ones, and how much they weigh."""
