"""Drawing annotated videos: motion, deformation, layers and effects shared by the generated data sets."""
