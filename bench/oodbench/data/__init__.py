"""The data room: cards, matrices, loading, synthetic sets and attacks. Only `oodbench.data.attacks` needs torch."""
