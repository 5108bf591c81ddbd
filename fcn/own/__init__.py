"""From a folder of images and a folder of masks to a trained net, by the other commands' means."""
