package tokenizer

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// peerText is varied English: the longer ASCII texts of a reference folder.
func peerText(b *testing.B) string {
	var out strings.Builder
	for _, c := range readLines[goldenCase](b, sharedDir(b, "tokenizers", "bert-uncased-real", "cases.jsonl")) {
		if len(c.Text) > 40 && isASCII([]byte(c.Text)) && strings.Count(c.Text, " ")*12 > len(c.Text) {
			out.WriteString(c.Text + "\n")
		}
	}
	return out.String()
}

// BenchmarkPeer times every kind of tokenizer beside PyPI's tokenizers, in one
// run, each on one thread, and checks that both give the same ids. Best rates
// of many runs are reported in MB/s: ours without and with offsets (AppendIDs,
// Encode) and theirs (encode_batch_fast, encode).
func BenchmarkPeer(b *testing.B) {
	python := os.Getenv("SKIFF_PEERS")
	if python == "" {
		b.Skip("SKIPPED LOUDLY: SKIFF_PEERS names no Python; make bench-peers sets it")
	}
	text := peerText(b)
	args := []string{"testdata/peers/tokenizers_speed.py"}
	for _, name := range benchFolders {
		args = append(args, sharedDir(b, "tokenizers", name, "tokenizer.json"))
	}
	cmd := exec.CommandContext(b.Context(), python, args...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(text), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	var theirs struct {
		Version string
		Files   []struct {
			IDs          []int32
			Encode, Fast float64
		}
	}
	if err := json.Unmarshal(out, &theirs); err != nil {
		b.Fatal(err)
	}
	for i, name := range benchFolders {
		k := parseFile(b, args[i+1])
		k.truncation, k.padding = nil, nil
		peer := theirs.Files[i]
		var ids []int32
		if ids = k.AppendIDs(ids, text, 0); !slices.Equal(ids, peer.IDs) {
			b.Errorf("%s: %d ids, tokenizers %s gives %d others", name, len(ids), theirs.Version, len(peer.IDs))
		}
		b.Run(name, func(b *testing.B) {
			best, spans := time.Hour, time.Hour
			for b.Loop() {
				start := time.Now()
				ids = k.AppendIDs(ids[:0], text, 0)
				middle := time.Now()
				if _, err := k.Encode(text, nil, true); err != nil {
					b.Fatal(err)
				}
				best, spans = min(best, middle.Sub(start)), min(spans, time.Since(middle))
			}
			size := float64(len(text)) / 1e6
			b.ReportMetric(size/best.Seconds(), "AppendIDs-MB/s")
			b.ReportMetric(peer.Fast, "peer-fast-MB/s")
			b.ReportMetric(size/spans.Seconds(), "Encode-MB/s")
			b.ReportMetric(peer.Encode, "peer-encode-MB/s")
		})
	}
}
