package onnxref

func creating(string) operator    { return operator{} }
func gathering(string) operator   { return operator{} }
func reducing(string) operator    { return operator{} }
func normalising(string) operator { return operator{} }
func quantising(string) operator  { return operator{} }
func contributed(string) operator { return operator{} }

func einsum(*call) ([]*Tensor, error) { return nil, nil }
