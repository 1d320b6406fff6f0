"""One file a paper; this folder is the table of contents.

What is here (written by `make gallery`):

adascale                AdaSCALE: SCALE and LTS with a share of largest features that each input has for itself (Regmi
                        2025)
ash                     ASH: activations pruned, and the rest left, levelled or sharpened (Djurisic 2023)
augmentations           Augmentations beyond flips and shifts: the plain classifier trained on pictures that were cut,
                        bent or mixed (DeVries 2017; Cubuk 2020; Hendrycks 2022)
baseline_t              Softmax at the temperature that detects best on held-out outliers (Liang 2018)
bin                     One yes-or-no classifier a class (Sreeramdass undated)
binc                    A softmax that classifies beside calibrated yes-or-no classifiers that detect (Sreeramdass
                        undated)
cf_ood                  CF-OOD: how large a neighbourhood has to be before enough training inputs count an input among
                        their neighbours (Angiulli 2026)
cider                   CIDER: embeddings on a hypersphere, close to their class's prototype, prototypes far from each
                        other (Ming 2023)
confbranch              A confidence branch: a network that may ask for hints, and pays for each (DeVries 2018)
confidnet               ConfidNet: the probability of the true class, learnt from features (Corbière 2019)
deep_ensemble           Deep ensemble: several classifiers that differ in nothing but their seed (Lakshminarayanan 2017)
deep_knn                Deep k-nearest neighbours: do the training inputs that are nearest at each layer share a label?
                        (Papernot 2018)
dice                    DICE: a head of which only the weights that contribute most are left (Sun 2022)
doctor                  DOCTOR (Granese 2021)
energy                  Energy score (Liu 2020)
energy_finetune         Energy-bounded fine-tuning: the energy of outliers is pushed up, that of inputs down (Liu 2020)
entropy                 Entropy of the softmax (Shannon 1948)
fdbd                    Fast decision boundary distance (Liu 2024)
feature_gmm             A Gaussian mixture of the features (Shao 2020)
feature_maf             A masked autoregressive flow of the features (Shao 2020)
feature_squeezing       Feature squeezing: how far the softmax moves when the image is made simpler (Xu 2018)
feature_vae             A variational auto-encoder of the features (Shao 2020)
flow_gan                Flow-GAN: an image's log density under a flow that was trained against a critic (Grover 2018)
g_odin                  Generalised ODIN: confidence decomposed into a cosine and a divisor, a step chosen without
                        outliers (Hsu 2020)
gan_confidence          Confidence-calibrated classifiers: a generator of images near the training data, on which p is
                        to be uniform (Lee 2018)
gen                     Generalised entropy (GEN) (Liu 2023)
glow                    Glow: an image's log density under a flow, and where its code lies (Kingma 2018; Nalisnick 2019;
                        Choi 2018)
gradnorm                GradNorm: the length of the gradient that would make the classifier uncertain (Huang 2021)
gram                    Gram matrices: how far the correlations of each layer's channels leave the range that training
                        images have (Sastry 2020)
ib_inn                  IB-INN: a generative classifier between a density model (beta = 0) and a discriminative one
                        (beta = infinity) (Mackowiak 2021)
ib_inn_imagenet         IB-INN for ImageNet: the generative classifier of `ib_inn` as an invertible ResNet-50 (Mackowiak
                        2021)
iodin                   i-ODIN: ODIN that moves only the pixel value which the confidence hangs on most (Regmi 2024)
ish                     ISH, intermediate tensor shaping: a fine-tuning in which the head learns from an input's largest
                        features (Xu 2024)
kl_matching             KL matching (Hendrycks 2022)
knn                     Distance to the k-th nearest training feature (Sun 2022)
kpca                    Kernel PCA: the reconstruction error in the space of a cosine kernel (CoP) or a cosine-Gaussian
                        one (CoRP) (Fang 2024)
lid                     LID: the local intrinsic dimensionality of each layer's activations, weighed against attacks (Ma
                        2018)
logitnorm               LogitNorm: cross-entropy of logits whose length is held fixed (Wei 2022)
lts                     LTS: logits scaled by how much of the activation is not in the largest features (Djurisic 2025)
magnet                  MagNet: what an auto-encoder of the training images makes of an image, and of the classifier's
                        answer (Meng 2017)
mahalanobis             Mahalanobis distance to the nearest class mean (Lee 2018)
mahalanobis_normalised  Mahalanobis distance, and the relative one, of features of length 1 (Müller 2025)
margin                  Margin between the two largest logits (Liang 2024)
max_logit               Maximum logit (Hendrycks 2022)
max_logit_pnorm         MaxLogit-pNorm (Cattelan 2024)
mc_dropout              Monte-Carlo dropout: one classifier, thinned in several ways (Gal 2016)
mcm                     MCM: maximum concept matching, of cosines (Ming 2022)
mixoe                   Mixture Outlier Exposure: images between inputs and outliers, their labels between a class and
                        none (Zhang 2023)
msp                     Maximum softmax probability (Hendrycks 2017)
nac                     NAC-UE: how often training inputs brought each unit into the state that an input brings it into
                        (Liu 2024)
nci                     NCI: how well the centred features point along the predicted class's weights (Liu 2025)
neco                    NECO: the share of a feature vector that lies in the principal space of neural collapse (Ammar
                        2024)
nnguide                 NNGuide: the energy, guided by the nearest training features, each weighed with its own energy
                        (Park 2023)
odds                    The odds are odd: how noise moves the log-odds of the predicted class against the others (Roth
                        2019)
odin                    ODIN (Liang 2018)
openmax                 OpenMax (Bendale 2016)
outlier_exposure        Outlier Exposure (Hendrycks 2019)
padim                   PaDiM: the Mahalanobis distance at each place of the last feature map, and the largest of them
                        (Defard 2020)
pixelcnn                PixelCNN++: the log density of an image as its score (Salimans 2017)
pixelcnn_oe             Outlier Exposure of a density: a PixelCNN++ that is told what to find less likely (Hendrycks
                        2019)
pnml                    pNML: regret of the last layer (Bibas 2021)
rankfeat                RankFeat: the energy of what is left of the last feature map without its largest singular part
                        (Song 2022)
react                   ReAct: activations clipped from above (Sun 2021)
regmixup                RegMixup: mixed images beside clean ones (Pinto 2022)
rel_u                   Rel-U: relative uncertainty (Dadalto 2024)
relation                Relation: how strongly an input is tied to the training inputs, in features and in predictions
                        at once (Kim 2023)
rmds                    Relative Mahalanobis distance (Ren 2021)
rotpred                 RotPred: a classifier that also tells by how much an image was turned (Hendrycks 2019)
scale                   SCALE: features scaled by how much of their activation is not in the largest entries (Xu 2024)
she                     SHE: the inner product with the mean feature of the predicted class (Zhang 2023)
sirc                    SIRC: softmax information retaining combination (Xia 2022)
t2fnorm                 T2FNorm: features of fixed length in training, features as they are for the score (Regmi 2024)
temperature             Softmax at the temperature that calibrates it (Guo 2017)
temporal_ensembling     Temporal ensembling: a classifier that sees few labels, and detectors on it (Laine 2017; Shao
                        2020)
trust_score             Trust score: how much nearer the predicted class is than the nearest other one (Jiang 2018)
typicality              Typicality: is the log density what it is for training inputs, neither lower nor higher?
                        (Mackowiak 2021; Nalisnick 2019)
uniform_cross_entropy   Cross-entropy from the uniform distribution to the softmax (Hendrycks 2019)
vae                     VAE: a bound of an image's log probability, and the rate of its code (Choi 2018)
vib                     The variational information bottleneck: the rate, and the entropy of the averaged decoder (Alemi
                        2018)
viby                    A variational information bottleneck with a prior for each class: VIBY-I and VIBY-II
                        (Sreeramdass undated)
vim                     Virtual-logit matching, and the residual of the features alone (Wang 2022)
viyog                   Viyog: how rough the quietest channels of the first convolution are (Singh 2026)
vos                     VOS: virtual outliers, drawn where the classes' own features are rare (Du 2022)
vra                     VRA: activations cut off below, clipped above and lifted in between (Xu 2023)
waic                    WAIC: the log density that several models give, less how far they disagree (Choi 2018)
weiper_kld              WeiPer+KLD: how far the histograms of the features and of perturbed logits are from those of
                        training inputs (Granz 2024)
zheng_hong              A Gaussian mixture for each class's features (Zheng 2018)

To add one, write one file:

1. its docstring gives the reference and the equation of the score (higher = more in-distribution);
2. a frozen dataclass is the detector: hyper-parameters are its fields, `reads` names the outputs and `fits_on` the
   materials that it opens, `version` is 1, `fit` returns what it learnt as a NamedTuple of tensors and numbers, `score`
   returns one float per input; a score that learns nothing is a function in a `Stateless`;
3. a recipe only if the classifier itself is trained differently; otherwise `Plain()`;
4. the last line is `METHODS = (Method(...), ...)`, one entry for each row of the leaderboard.

Raise `version` whenever scores move. The registry scans this folder; nothing else needs a change but the changelog.
Files do not import each other: a formula that two methods share is a function in `oodbench.formulas`, an estimate one
in `oodbench.estimators`, a whole detector a class in `oodbench.detectors`. `oodbench check NAME` runs the conformance
checks.
"""
