package native

import "skiff/runtime/kernel"

// floatAVX512 are the primitives for registers of 16 floats.
func floatAVX512() floatOps {
	return floatOps{
		act: [kernel.ActSigmoid + 1]func(dst, src *float32, n int){
			kernel.ActGELU: geluAVX512, kernel.ActReLU: reluAVX512, kernel.ActGELUTanh: geluTanhAVX512,
			kernel.ActSiLU: siluAVX512, kernel.ActTanh: tanhAVX512, kernel.ActSigmoid: sigmoidAVX512,
		},
		add: addAVX512, mul: mulAVX512, divide: divideAVX512, affine: affineAVX512,
		setCodes: setCodesAVX512, addCodes: addCodesAVX512, norm: normAVX512,
		panel: 32, tiles: []int{12, 8, 4, 2, 1},
		packKeys: packKeysAVX512, packValues: packValuesAVX512, product: productAVX512, softmax: softmaxAVX512,
	}
}

// floatAVX2 are the primitives for registers of 8 floats.
func floatAVX2() floatOps {
	return floatOps{
		act: [kernel.ActSigmoid + 1]func(dst, src *float32, n int){
			kernel.ActGELU: geluAVX2, kernel.ActReLU: reluAVX2, kernel.ActGELUTanh: geluTanhAVX2,
			kernel.ActSiLU: siluAVX2, kernel.ActTanh: tanhAVX2, kernel.ActSigmoid: sigmoidAVX2,
		},
		add: addAVX2, mul: mulAVX2, divide: divideAVX2, affine: affineAVX2,
		setCodes: setCodesAVX2, addCodes: addCodesAVX2, norm: normAVX2,
		panel: 16, tiles: []int{6, 4, 2, 1},
		packKeys: packKeysAVX2, packValues: packValuesAVX2, product: productAVX2, softmax: softmaxAVX2,
	}
}
