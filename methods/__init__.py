"""One file a paper; this folder is the table of contents.

msp            maximum softmax probability (Hendrycks & Gimpel 2017)
max_logit      largest logit (Hendrycks 2022)
temperature    softmax at the temperature that calibrates it (Guo 2017)
baseline_t     softmax at the temperature that detects best on held-out outliers (Liang 2018 without its perturbation)
odin           temperature and a step of the input towards confidence (Liang 2018)
energy         free energy of the logits (Liu 2020)
mahalanobis    distance to the nearest class mean, at one layer or several, with or without a step (Lee 2018)
zheng_hong     a Gaussian mixture for each class's features (Zheng & Hong 2018)
feature_gmm    one Gaussian mixture for all features (Shao 2020)
knn            distance to the k-th nearest training feature (Sun 2022)
temporal_ensembling  a classifier trained on 100 labels a class, under four detectors (Laine & Aila 2017; Shao 2020)
deep_ensemble  plain classifiers of several seeds, asked together (Lakshminarayanan 2017)
mc_dropout     one classifier thinned by fixed masks (Gal & Ghahramani 2016)

To add one, write one file:

1. its docstring gives the reference and the equation of the score (higher = more in-distribution);
2. a frozen dataclass is the detector: hyper-parameters are its fields, `reads` names the views and `fits_on` the
   materials it touches, `fit` returns what it learnt as a NamedTuple of tensors and numbers, `score` returns one
   float32 per input;
3. a recipe only if the classifier itself is trained differently; otherwise `Plain()`;
4. the last line is `METHODS = (Method(...), ...)`, one entry for each row of the leaderboard.

The registry scans this folder; nothing else needs a change but the changelog. Files do not import each other: a formula
that two methods share is a function in `oodbench.formulas`, a fit one in `oodbench.estimators`, a whole detector a
class in `oodbench.detectors`. `oodbench check NAME` runs the conformance checks.
"""
