"""ImageBind (Girdhar et al. 2023): trunks by modality with one embedding space."""
