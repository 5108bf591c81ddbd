"""What infer.py is made of: photos, exact tiles, memory, pictures (fcn/geometry has the rest).

tiles.py     which tiles give the whole image's scores
memory.py    how much memory is free
model.py     a catalog experiment with its weights, ready to label an image
pictures.py  any image file as upright RGB; overlay and legend
"""
