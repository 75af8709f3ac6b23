@0xb0072d25a1a4d684;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hindsight::traces::schema");
