@0xd5328d01f6f6742f;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hindsight::traces::schema");
