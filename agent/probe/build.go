package probe

import (
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

// Build identifies this program: the build id that the linker wrote into it, a digest of its contents; where there is none, the
// digest of the file itself.
func Build() string {
	path, err := os.Executable()
	if err != nil {
		return moduleVersion()
	}
	if id := noteBuildID(path); id != "" {
		return id
	}
	if id := fileDigest(path); id != "" {
		return id
	}
	return moduleVersion()
}

// noteBuildID reads the note of an ELF file: 16 bytes of header, then the id.
func noteBuildID(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	s := f.Section(".note.go.buildid")
	if s == nil || s.Size > 1024 {
		return ""
	}
	data, err := s.Data()
	if err != nil || len(data) <= 16 {
		return ""
	}
	sum := sha256.Sum256(data[16:])
	return fmt.Sprintf("%x", sum[:8])
}

func fileDigest(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version + " " + info.GoVersion
}

// cpuFeatures reads what Linux tells of the CPU; elsewhere the architecture alone must do.
func cpuFeatures() []string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 64<<10)) // the first CPUs of very many
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "flags", "Features", "isa":
			return strings.Fields(value)
		}
	}
	return nil
}
