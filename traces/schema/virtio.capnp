@0xe11326b970f9a848;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hindsight::traces::schema");
