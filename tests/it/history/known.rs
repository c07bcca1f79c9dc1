//! The checker held to what is known: it finds what it is there to find, and nothing where all is well.
