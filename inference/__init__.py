"""What infer.py is made of: reading photos, the net's geometry, exact tiles, memory, pictures.

ops.py       a net's description as window, upsampling, crop and pointwise operations
geometry.py  from these: blob sizes, memory, stride and receptive field
tiles.py     which tiles give the whole image's scores
memory.py    how much memory is free
model.py     a catalog experiment with its weights, ready to label an image
photo.py     any image file as upright RGB
pictures.py  overlay and legend
"""
