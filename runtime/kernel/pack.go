package kernel

import "fmt"

// PanelBytes is the size of the panels of an int8 matrix [n][k].
func PanelBytes(n, k int) int { return pad(n, 16) * pad(k, 8) }

// PackWeights scatters rows of an int8 matrix [N][k], starting at row first, into the
// panels [N16/8][K8/2][8 columns][2 depths] at dst, as the linear kernel reads them.
// codes holds whole rows, one byte each value. dst must start zeroed, or the pads stay
// what they were; rows may come in any order, each once.
func PackWeights(dst, codes []byte, first, k int) error {
	if k <= 0 || first < 0 || len(codes)%k != 0 {
		return fmt.Errorf("pack weights: %d bytes from row %d are not rows of %d", len(codes), first, k)
	}
	k8, rows := pad(k, 8), len(codes)/k
	if need := pad(first+rows, tileCols) * k8; len(dst) < need {
		return fmt.Errorf("pack weights: panels of %d bytes, need %d", len(dst), need)
	}
	for i := range rows {
		n := first + i
		panel := dst[n/tileCols*k8*tileCols:][:k8*tileCols]
		packRow(panel[n%tileCols*2:], codes[i*k:(i+1)*k])
	}
	return nil
}

// packRow scatters one row: a pair of depths every 16 bytes.
func packRow(panel, row []byte) {
	for len(row) >= 2 && len(panel) >= 2 {
		panel[0], panel[1] = row[0], row[1]
		row = row[2:]
		panel = panel[min(16, len(panel)):]
	}
	if len(row) == 1 {
		panel[0] = row[0]
	}
}
