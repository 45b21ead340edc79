//! What the fuzz targets promise, tried briefly with the compiler that everybody has.

#[cfg(test)]
mod promises;
