"""Four ways to learn from pictures with captions, on one image trunk (lesson 03, seed 004).

| module | what it holds |
|---|---|
| `words` | captions -> token numbers, or a bag of words |
| `pairs` | a batch of pictures with captions, by seed and step |
| `trunk` | the image trunk that all methods share |
| `text` | a small causal transformer over words |
| `positions` | where in the grid a place is, for the cross-attending captioner |
| `dual` | CLIP's and SigLIP's two towers |
| `bow` | baseline 1: which words are in the caption? |
| `prefix` | baseline 2, decoder only: the picture as the first token |
| `cross` | baseline 2, encoder-decoder: the words look at the picture's grid |
| `captioner` | what both captioners share: how they learn, and how they judge captions |
| `speaking` | the caption that a captioner would write |
| `likelihood` | the loss of the next word, and log p of tokens |
| `methods` | a method by its name: trunk and head, trained and asked in one way |
| `learn` | the loop; a shorter run is the beginning of a longer one |
| `budget` | what a training step costs, and how many a budget pays for |
"""
