"""
========
Outliers
========

442 patients with diabetes, of whom a few cells are changed: one is a typing error, others are what
no single measurement shows. ``VAEOutlierDetector`` finds the rows, although it is fitted to them,
too, and says which cells make them odd.
"""

# %%
# Rows with an error
# ------------------
# In the first five rows low-density lipoproteins are above total cholesterol, of which they are a
# part: each value is common, but not beside the other. In the sixth row a decimal point is lost. A
# tenth of all cells is missing.

import numpy as np
from sklearn.datasets import load_diabetes

from skvae import VAEOutlierDetector
from skvae.display import OutlierDisplay

names = {"s1": "cholesterol", "s2": "ldl", "s3": "hdl", "s4": "cholesterol/hdl"}
names |= {"s5": "log triglycerides", "s6": "sugar"}
frame = load_diabetes(as_frame=True, scaled=False).data.rename(columns=names)
rng = np.random.default_rng(0)
frame = frame.mask(rng.random(frame.shape) < 0.1)
changed = frame.index[:6]
frame.loc[changed[:5], ["cholesterol", "ldl"]] = [140.0, 170.0]
frame.loc[changed[5], "bmi"] = 226.0

# %%
# Which rows, and why
# -------------------
# Scores are normal deviates for most rows, whichever of their cells are missing. The shares of a
# row's cells add up to how many nats its log-density is below the typical row's.

detector = VAEOutlierDetector(random_state=0).fit(frame)
scores = detector.score_samples(frame)
odd = frame.index[np.argsort(scores)[:8]]
shares = detector.explain(frame.loc[odd])
print(f"{np.sum(scores < detector.offset_)} of {len(frame)} rows are below the offset")
for row in odd:
    reasons = shares.loc[row].nlargest(2)
    print(f"row {row:3d}, score {scores[row]:5.1f}:", ", ".join(reasons.index))

# %%
# The picture
# -----------
# Triangles mark the rows whose cells' shares are below.

display = OutlierDisplay.from_estimator(detector, frame)
display.figure_.savefig("outliers.png", dpi=120)
