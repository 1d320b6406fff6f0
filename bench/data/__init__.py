"""The data room: cards, matrices, loading, synthetic sets and attacks. Only `bench.data.attacks` needs torch."""
