//! gtn-nas
