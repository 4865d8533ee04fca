package golden

import (
	"strings"
	"testing"
)

// count is a tokenizer of two specials and one token for every three letters of a word.
func count(max int) func(string) int {
	return func(s string) int {
		n := 2
		for _, w := range strings.Fields(s) {
			n += (len(w) + 2) / 3
		}
		return min(n, max)
	}
}

func TestBatchesCoverTailsLongestAndMixed(t *testing.T) {
	corpus := []string{"the cat sat on an incomprehensible mat", "a dog ran"}
	for _, max := range []int{16, 128, 512} {
		tokens := count(max)
		remainders, longest, several := map[int]bool{}, false, 0
		for _, batch := range Batches(corpus, max, tokens) {
			total := 0
			for _, text := range batch {
				total += tokens(text)
				longest = longest || tokens(text) == max
			}
			remainders[total%tileRows] = true
			if len(batch) > 1 {
				several++
			}
		}
		if len(remainders) != tileRows || !longest || several != len(mixed) {
			t.Errorf("max %d: %d remainders of %d, longest %v, %d mixed batches", max, len(remainders), tileRows, longest, several)
		}
	}
}
