package importer

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"
)

// TestEveryPrefix: a file of a model that is cut anywhere is refused, by name.
func TestEveryPrefix(t *testing.T) {
	base, step := small(t), 1
	if testing.Short() {
		step = 13
	}
	for name, file := range base {
		whole := strings.TrimRight(string(file.Data), " \n")
		for n := 0; n < len(whole); n += step {
			folder := make(fstest.MapFS)
			for other, f := range base {
				folder[other] = f
			}
			folder[name] = &fstest.MapFile{Data: []byte(whole[:n])}
			if _, err := OpenFS(context.Background(), folder, "cut"); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("the first %d of %d bytes of %s: got %v", n, len(whole), name, err)
			}
		}
	}
}

// FuzzConfig: nothing panics, and what is accepted has sane sizes.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(smallConfig))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig(configName, data)
		if err != nil {
			return
		}
		m := c.model()
		if m.Hidden%m.Heads != 0 || m.Hidden < 1 || m.Layers < 1 || m.Vocab < 1 || m.Eps <= 0 {
			t.Errorf("accepted %+v", m)
		}
	})
}

// FuzzModules: nothing panics, and what is accepted has a pooling.
func FuzzModules(f *testing.F) {
	base := small(f)
	f.Add(base["modules.json"].Data, base["1_Pooling/config.json"].Data, base[sentencesName].Data)
	f.Fuzz(func(t *testing.T, modules, pooling, sentences []byte) {
		p, err := readModules(fsFolder(fstest.MapFS{
			"modules.json":          {Data: modules},
			"1_Pooling/config.json": {Data: pooling},
			sentencesName:           {Data: sentences},
		}, "m"))
		if err == nil && (!p.present || p.pool == 0) {
			t.Errorf("accepted %+v", p)
		}
	})
}
