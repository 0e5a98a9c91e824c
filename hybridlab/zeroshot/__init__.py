"""Many labels from words alone: prompts, text embeddings, scores, calibration, unseen labels.

| module | what it holds |
|---|---|
| `prompts` | templates and descriptions -> the sentences of each label, checked |
| `text_bank` | their unit embeddings, cached on disk; the ensemble |
| `scores` | cosine, softmax (and why not), sigmoid, ranks over prompts, a frequency prior |
| `patches` | scores of patches, their pooling, background texts, heatmaps |
| `platt` | scale and bias fitted on labelled images: few-shot, no longer zero-shot |
| `splits` | seen and unseen labels, generalised zero-shot |
| `sensitivity`, `ensembles` | the spread of a metric over prompts; what choosing the best gains |
| `audit`, `audit_table`, `proportions` | false positives by context and by co-present label |
| `within`, `pairs` | are pictures of one thing alike? measured, and asked for by a loss |
| `captioner`, `coca` | labels scored by log p(caption given the picture) |
| `alignment`, `kernels` | do a tower's pictures and another's texts share a space? |

`hybridlab.encoders.zero_shot` holds the three functions that the pipeline itself needs.
"""
