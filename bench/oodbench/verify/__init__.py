"""What a results folder says, held against itself, the matrices, the cards and the methods. Needs no torch.

Every field of every file is sorted (`oodbench.verify.sorting`): it is *recomputed* from the scores, *cross-checked*
against what this repository declares and against the other files, or *only re-runnable*, and then the report names the
command. Nothing that is read here is executed or unpickled, and nothing is read before its size is bounded.
"""
