package onnx

import "google.golang.org/protobuf/encoding/protowire"

// fieldNumber is protobuf's; the numbers are those of onnx.proto3.
type fieldNumber = protowire.Number
