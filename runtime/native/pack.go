package native

import (
	"encoding/binary"
	"fmt"

	"skiff/runtime/kernel"
)

// PackWeights is kernel.PackWeights for the set's own panels, which take as many bytes:
// rows of an int8 matrix [N][k], starting at row first, scattered into dst of
// kernel.PanelBytes(N, k). dst must start zeroed, or the pads stay what they were; rows may
// come in any order, each once.
func (s *Set) PackWeights(dst, codes []byte, first, k int) error {
	if k <= 0 || first < 0 || len(codes)%k != 0 {
		return fmt.Errorf("pack weights: %d bytes from row %d are not rows of %d", len(codes), first, k)
	}
	if need := kernel.PanelBytes(first+len(codes)/k, k); len(dst) < need {
		return fmt.Errorf("pack weights: panels of %d bytes, need %d", len(dst), need)
	}
	if len(codes) > 0 {
		s.int8.pack(dst, codes, first, k)
	}
	return nil
}

// packFours lays panels [N16/16][K8/4][16 columns][4 depths] of bytes that are codes plus
// 128. A pad is 0, which stands for -128: its column's scale is 0, its depth's code is.
func packFours(dst, codes []byte, first, k int) {
	const flip = 0x80808080
	k8 := (k + 7) &^ 7
	for n := first; len(codes) > 0; n++ {
		row, panel := codes[:k], dst[n/16*16*k8:][:16*k8][n%16*4:]
		codes = codes[k:]
		for len(row) > 4 && len(panel) >= 64 {
			binary.LittleEndian.PutUint32(panel, binary.LittleEndian.Uint32(row)^flip)
			row, panel = row[4:], panel[64:]
		}
		var last [4]byte
		copy(last[:], row)
		binary.LittleEndian.PutUint32(panel, binary.LittleEndian.Uint32(last[:])^flip)
	}
}

// packPairs lays panels [N16/16][K8/2][16 columns][2 depths] of codes.
func packPairs(dst, codes []byte, first, k int) {
	k8 := (k + 7) &^ 7
	for n := first; len(codes) > 0; n++ {
		row, panel := codes[:k], dst[n/16*16*k8:][:16*k8][n%16*2:]
		codes = codes[k:]
		for len(row) > 2 && len(panel) >= 32 {
			binary.LittleEndian.PutUint16(panel, binary.LittleEndian.Uint16(row))
			row, panel = row[2:], panel[32:]
		}
		copy(panel[:2], row)
	}
}
