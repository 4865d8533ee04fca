package canon

import (
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
)

type inner struct {
	A uint8  `cbor:"1,keyasint"`
	B string `cbor:"3,keyasint,omitempty"`
}

type outer struct {
	N     uint64   `cbor:"1,keyasint"`
	Hash  [4]byte  `cbor:"3,keyasint,omitzero"`
	Blob  []byte   `cbor:"4,keyasint,omitempty"`
	List  []inner  `cbor:"5,keyasint,omitempty"`
	Score float64  `cbor:"6,keyasint,omitempty"`
	Sign  int64    `cbor:"7,keyasint,omitempty"`
	Flag  bool     `cbor:"8,keyasint,omitempty"`
	Names []string `cbor:"10,keyasint,omitempty"`
	One   inner    `cbor:"12,keyasint,omitzero"`
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name, data string
		want       error
		in         string // substring of the error
	}{
		{"least", "a10100", nil, ""},
		{"all", "a901010344010203040441ff0581a20102036161" + "06f93c00" + "0720" + "08f5" + "0a81617a" + "0ca10101", nil, ""},
		{"unknown even", "a20100" + "02a20001616182f5f4", nil, ""},
		{"unknown even, nested", "a201000581a20102" + "0480", nil, ""},
		{"unknown odd", "a2010009" + "00", ErrKey, "key 9"},
		{"unknown odd, nested", "a201000581a20102" + "0500", ErrKey, "outer.List at byte 8: unknown critical key 5"},
		{"missing", "a0", ErrForm, "1 fields are missing"},
		{"missing, nested", "a201000581a0", ErrForm, "missing"},
		{"trailing", "a1010000", ErrForm, "1 bytes follow"},
		{"repeated key", "a201000100", ErrForm, "key 1 after 1"},
		{"unsorted key", "a2034401020304" + "0100", ErrForm, "key 1 after 3"},
		{"text key", "a1616100", ErrForm, "key"},
		{"negative key", "a12000", ErrForm, "key"},
		{"long uint", "a1011801", ErrForm, "shortest"},
		{"long uint 16", "a101190001", ErrForm, "shortest"},
		{"long uint 32", "a1011a00000100", ErrForm, "shortest"},
		{"long uint 64", "a1011b0000000000000100", ErrForm, "shortest"},
		{"indefinite map", "bf0100ff", ErrForm, "indefinite"},
		{"indefinite string", "a2010004" + "5f4101ff", ErrForm, "indefinite"},
		{"tag", "a101c100", ErrForm, "major type 6"},
		{"tag, skipped", "a2010002c100", ErrForm, "tag"},
		{"null", "a101f6", ErrForm, "major type 7"},
		{"null, skipped", "a2010002f6", ErrForm, "simple"},
		{"wrong type", "a1014100", ErrForm, "major type 2"},
		{"short array", "a2010003" + "43010203", ErrForm, "3 bytes"},
		{"long array", "a2010003" + "450102030405", ErrForm, "5 bytes"},
		{"zero array", "a2010003" + "4400000000", ErrForm, "zero written out"},
		{"zero bytes", "a201000440", ErrForm, "zero"},
		{"zero struct", "a201000ca10100", ErrForm, "zero"},
		{"zero bool", "a2010008f4", ErrForm, "zero"},
		{"uint8 overflow", "a201000ca101190100", ErrForm, "range"},
		{"int64 overflow", "a20100071b8000000000000000", ErrForm, "range"},
		{"bad text", "a201000a8161ff", ErrForm, "UTF-8"},
		{"array count", "a201000a9b00ffffffffffffff", ErrForm, "data ends"},
		{"bytes count", "a20100045b00ffffffffffffff", ErrForm, "data ends"},
		{"items", "a201000a88616161616161616161616161616161616161", ErrItems, ""},
		{"deep", "a2010002" + strings.Repeat("81", 40) + "00", ErrForm, "nested"},
		{"skipped map keys", "a2010002a2010001" + "00", ErrForm, "keys repeat"},
		{"empty", "", ErrForm, "data ends"},
		{"long float", "a2010006fb3ff0000000000000", ErrForm, "shortest"},
		{"long float 32", "a2010006fa3f800000", ErrForm, "shortest"},
		{"float 32", "a2010006fa3f800001", nil, ""},
		{"float 64", "a2010006fb3ff0000000000001", nil, ""},
		{"nan", "a2010006f97e00", ErrForm, "finite"},
		{"inf", "a2010006f97c00", ErrForm, "finite"},
		{"float zero", "a2010006f90000", ErrForm, "zero"},
		{"int for float", "a201000601", ErrForm, "major type 0"},
	}
	for _, tt := range tests {
		data, err := hex.DecodeString(tt.data)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		items := 22
		if tt.name == "items" {
			items = 8
		}
		err = Check(data, outer{}, items)
		if !errors.Is(err, tt.want) || (err != nil && !strings.Contains(err.Error(), tt.in)) {
			t.Errorf("%s: got %v, want %v with %q", tt.name, err, tt.want, tt.in)
		}
	}
}

// TestHalf goes over every half-precision number.
func TestHalf(t *testing.T) {
	for i := range 1 << 16 {
		v := half(uint16(i))
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if !fitsHalf(float32(v)) {
			t.Fatalf("half %04x = %v: not seen to fit", i, v)
		}
		if next := math.Nextafter32(float32(v), 1e9); fitsHalf(next) && v != 0 {
			t.Fatalf("half %04x: neighbour %v seen to fit", i, next)
		}
	}
	if fitsHalf(65536) || fitsHalf(float32(math.Ldexp(1, -25))) {
		t.Error("numbers beyond the range seen to fit")
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"a10100", "a20100" + "02a20001616182f5f4", "a2010006fa3f800001", "a201000581a20102036161"} {
		data, _ := hex.DecodeString(s)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var e *Error
		if err := Check(data, outer{}, 100); err != nil && !errors.As(err, &e) {
			t.Fatalf("error %T without a place", err)
		}
	})
}
