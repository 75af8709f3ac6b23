@0xbd5cdb1e310b7f1a;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hindsight::traces::schema");
