@0xb79fe398dc4c675a;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hindsight::traces::schema");
