"""The registered codecs of the family: every baseline at fixed rates, and by every method."""

from rdbench_codecs.hyperprior.codec import FixedRate, Leveled, Qvrf


class Bmshj2018Factorized(FixedRate, baseline="bmshj2018-factorized"):
    """bmshj2018-factorized at fixed rates."""


class Bmshj2018Hyperprior(FixedRate, baseline="bmshj2018-hyperprior"):
    """bmshj2018-hyperprior at fixed rates."""


class Mbt2018Mean(FixedRate, baseline="mbt2018-mean"):
    """mbt2018-mean at fixed rates."""


class Mbt2018(FixedRate, baseline="mbt2018"):
    """mbt2018 at fixed rates."""


class Cheng2020Anchor(FixedRate, baseline="cheng2020-anchor"):
    """cheng2020-anchor at fixed rates."""


class Cheng2020Attn(FixedRate, baseline="cheng2020-attn"):
    """cheng2020-attn at fixed rates."""


class QvrfBmshj2018Hyperprior(Qvrf, method="qvrf", baseline="bmshj2018-hyperprior"):
    """QVRF on bmshj2018-hyperprior."""


class QvrfMbt2018Mean(Qvrf, method="qvrf", baseline="mbt2018-mean"):
    """QVRF on mbt2018-mean."""


class QvrfMbt2018(Qvrf, method="qvrf", baseline="mbt2018"):
    """QVRF on mbt2018."""


class QvrfCheng2020Anchor(Qvrf, method="qvrf", baseline="cheng2020-anchor"):
    """QVRF on cheng2020-anchor."""


class QvrfCheng2020Attn(Qvrf, method="qvrf", baseline="cheng2020-attn"):
    """QVRF on cheng2020-attn."""


class Theis2017Bmshj2018Hyperprior(Leveled, method="theis2017", baseline="bmshj2018-hyperprior"):
    """Theis et al. 2017 on bmshj2018-hyperprior."""


class Theis2017Mbt2018Mean(Leveled, method="theis2017", baseline="mbt2018-mean"):
    """Theis et al. 2017 on mbt2018-mean."""


class Theis2017Mbt2018(Leveled, method="theis2017", baseline="mbt2018"):
    """Theis et al. 2017 on mbt2018."""


class Theis2017Cheng2020Anchor(Leveled, method="theis2017", baseline="cheng2020-anchor"):
    """Theis et al. 2017 on cheng2020-anchor."""


class Theis2017Cheng2020Attn(Leveled, method="theis2017", baseline="cheng2020-attn"):
    """Theis et al. 2017 on cheng2020-attn."""


class Cui2021Bmshj2018Hyperprior(Leveled, method="cui2021", baseline="bmshj2018-hyperprior"):
    """Cui et al. 2021 on bmshj2018-hyperprior."""


class Cui2021Mbt2018Mean(Leveled, method="cui2021", baseline="mbt2018-mean"):
    """Cui et al. 2021 on mbt2018-mean."""


class Cui2021Mbt2018(Leveled, method="cui2021", baseline="mbt2018"):
    """Cui et al. 2021 on mbt2018."""


class Cui2021Cheng2020Anchor(Leveled, method="cui2021", baseline="cheng2020-anchor"):
    """Cui et al. 2021 on cheng2020-anchor."""


class Cui2021Cheng2020Attn(Leveled, method="cui2021", baseline="cheng2020-attn"):
    """Cui et al. 2021 on cheng2020-attn."""


class Song2021Bmshj2018Hyperprior(Leveled, method="song2021", baseline="bmshj2018-hyperprior"):
    """Song et al. 2021 on bmshj2018-hyperprior."""


class Song2021Mbt2018Mean(Leveled, method="song2021", baseline="mbt2018-mean"):
    """Song et al. 2021 on mbt2018-mean."""


class Song2021Mbt2018(Leveled, method="song2021", baseline="mbt2018"):
    """Song et al. 2021 on mbt2018."""


class Song2021Cheng2020Anchor(Leveled, method="song2021", baseline="cheng2020-anchor"):
    """Song et al. 2021 on cheng2020-anchor."""


class Song2021Cheng2020Attn(Leveled, method="song2021", baseline="cheng2020-attn"):
    """Song et al. 2021 on cheng2020-attn."""
