//! One request for all who may share it, credentials read again when they are refused.

