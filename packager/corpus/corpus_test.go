package corpus

import (
	"strings"
	"testing"
)

func TestTextsAreDistinctSentences(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Texts() {
		if strings.TrimSpace(s) == "" || seen[s] {
			t.Errorf("empty or repeated: %q", s)
		}
		seen[s] = true
	}
	if len(seen) < 64 {
		t.Errorf("%d sentences, calibration wants at least 64", len(seen))
	}
}
