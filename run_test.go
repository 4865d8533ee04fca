package main

import (
	"bufio"
	"encoding/json"
	"math"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/packager"
)

// ranAnswer is what skiff run --json prints, as another program would read it.
type ranAnswer struct {
	Input     json.RawMessage `json:"input"`
	Embedding []float32       `json:"embedding"`
	IDs       []int32         `json:"ids"`
	Hidden    [][]float32     `json:"last_hidden_state"`
}

// TestRun: a bundle, and the model it was made from packed in memory, give the
// same numbers, one at a time or together, on every kind of kernels.
func TestRun(t *testing.T) {
	m := packedMini(t)
	stdin := "A man is playing a guitar.\n\n\"two\\nlines\"\n" + strings.Repeat("long ", 300) + "\n"
	want := lines[ranAnswer](t, m.home.must(t, stdin, "run", m.bundle, "--json"))
	if len(want) != 4 || string(want[1].Input) != `""` || string(want[2].Input) != `"two\nlines"` || want[0].IDs != nil {
		t.Fatalf("run prints %d answers: %+v", len(want), want)
	}
	for _, a := range want {
		if len(a.Embedding) != 256 || math.Abs(norm(a.Embedding)-1) > 1e-5 {
			t.Errorf("%s: %d numbers of length %g", a.Input, len(a.Embedding), norm(a.Embedding))
		}
	}
	for _, args := range [][]string{
		{"run", "builtin", "--json"}, {"run", m.bundle, "--json", "--kernels", "go"},
		{"run", m.bundle, "--json", "--kernels", "interp"}, {"run", m.bundle, "--json", "--workers", "1"},
	} {
		if diff := cmp.Diff(want, lines[ranAnswer](t, m.home.must(t, stdin, args...))); diff != "" {
			t.Errorf("skiff %v (-want +got)\n%s", args, diff)
		}
	}
	alone := m.home.must(t, "", "run", m.bundle, "A man is playing a guitar.")
	if fields := strings.Fields(alone.stdout); len(fields) != 256 {
		t.Errorf("without --json %d numbers", len(fields))
	}
}

// TestRunReference: the float32 reference is close to the int8 answer, and both
// show the hidden states that the answer is the mean of.
func TestRunReference(t *testing.T) {
	m := packedMini(t)
	int8s := lines[ranAnswer](t, m.home.must(t, "", "run", m.bundle, "--json", "--hidden", "A man is playing a guitar."))[0]
	f32 := lines[ranAnswer](t, m.home.must(t, "", "run", "builtin", "--json", "--hidden", "--f32", "A man is playing a guitar."))[0]
	if diff := cmp.Diff(f32.IDs, int8s.IDs); diff != "" || len(f32.IDs) < 3 {
		t.Errorf("ids (-float32 +int8)\n%s", diff)
	}
	if c := packager.Cosine(f32.Embedding, int8s.Embedding); c < 0.998 || c == 1 {
		t.Errorf("cosine %g", c)
	}
	for _, a := range []ranAnswer{int8s, f32} {
		if len(a.Hidden) != len(a.IDs) || len(a.Hidden[0]) != 256 {
			t.Fatalf("%d rows for %d ids", len(a.Hidden), len(a.IDs))
		}
		mean := make([]float32, 256)
		for _, row := range a.Hidden {
			for i, x := range row {
				mean[i] += x
			}
		}
		if c := packager.Cosine(mean, a.Embedding); c < 0.999999 {
			t.Errorf("the hidden states' mean is not the answer: cosine %g", c)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	m := packedMini(t)
	for _, c := range []struct {
		stdin  string
		args   []string
		status int
		want   string
	}{
		{"", []string{"run", m.bundle, "--f32", "x"}, statusUsage, "float32"},
		{"", []string{"run", m.bundle, "--hidden", "x"}, statusUsage, "--json"},
		{"", []string{"run", m.bundle, "--workers", "-1", "x"}, statusUsage, "workers"},
		{"", []string{"run", m.bundle, "a\tb"}, statusFailed, "pair"},
		{"ok\nb\xff\n", []string{"run", m.bundle}, statusFailed, "line 2"},
		{"\"open\n", []string{"run", m.bundle, "--json"}, statusFailed, "line 1"},
	} {
		r := m.home.run(t, c.stdin, c.args...)
		if r.status != c.status || !strings.Contains(r.stderr, c.want) {
			t.Errorf("skiff %v: status %d, stderr %q; want %d and %q", c.args, r.status, r.stderr, c.status, c.want)
		}
	}
}

// TestRunInterrupted: a run that waits for a line stops at Ctrl-C all the same, and
// had answered what it was given before.
func TestRunInterrupted(t *testing.T) {
	m := packedMini(t)
	cmd := m.home.command(t, "run", m.bundle, "--json")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdin.Write([]byte("one line\n")); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.Contains(line, `"input":"one line"`) {
		t.Errorf("%v: %.100s", err, line)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != statusFailed {
		t.Errorf("interrupted: %v", err)
	}
}

func norm(v []float32) float64 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}
