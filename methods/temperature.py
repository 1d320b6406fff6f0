"""Softmax at the temperature that calibrates it.

Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks", ICML 2017; as a detector: the "calibrated
scores" of Shao, Song & Ermon 2020.

    T* = argmin_T NLL(z / T) on held-out in-distribution data,   s(x) = max_c softmax(z / T*)_c

The NLL is convex in beta = 1/T, so its slope has one root: bisection finds it to machine precision, where a gradient
method with a fixed rate can stop short. T is fitted for the NLL, never for a detection metric, and never on training
data. It reorders inputs when there are more than two classes; it never changes the prediction.

Fails wherever the softmax does: one temperature calibrates all inputs alike, changes no prediction and, of two classes,
no order.
"""

from oodbench.contract import Citation, Method
from oodbench.detectors.calibrated import CalibratedSoftmax
from oodbench.recipes import Plain

METHODS = (
    Method(
        name="temperature",
        title="Temperature scaling",
        family="logits",
        paper=Citation(
            authors="Guo, Pleiss, Sun, Weinberger",
            title="On Calibration of Modern Neural Networks",
            year=2017,
            url="https://arxiv.org/abs/1706.04599",
        ),
        recipe=Plain(),
        detector=CalibratedSoftmax(),
    ),
)
