package importer

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestThresholds: what config.json says of the scores from which a label holds, or why not.
func TestThresholds(t *testing.T) {
	const multi = `"problem_type":"multi_label_classification","id2label":{"0":"a","1":"b","2":"c"},`
	for more, c := range map[string]struct {
		want []float64
		err  string
	}{
		multi:                                                            {},
		multi + `"threshold":0.4,`:                                       {want: []float64{0.4}},
		multi + `"threshold":null,`:                                      {},
		multi + `"thresholds":0.3,`:                                      {want: []float64{0.3}},
		multi + `"thresholds":[0.5,0,1],`:                                {want: []float64{0.5, 0, 1}},
		multi + `"thresholds":{"c":0.3,"a":0.1,"b":0.2},`:                {want: []float64{0.1, 0.2, 0.3}},
		multi + `"thresholds":[0.5,0.5],`:                                {err: "thresholds: 2 thresholds for 3 labels"},
		multi + `"thresholds":[0.5,0.5,0.5,0.5],`:                        {err: "4 thresholds for 3 labels"},
		multi + `"thresholds":[],`:                                       {err: "0 thresholds for 3 labels"},
		multi + `"thresholds":{"a":0.1,"b":0.2},`:                        {err: `none for the label "c"`},
		multi + `"thresholds":{"a":0.1,"b":0.2,"c":0.3,"d":0.4},`:        {err: `"d" is none of the labels`},
		multi + `"threshold":1.5,`:                                       {err: "1.5 is no score from 0 to 1"},
		multi + `"threshold":"0.5",`:                                     {err: "a string where a number"},
		multi + `"threshold":[0.5],`:                                     {err: "an array where a number"},
		multi + `"threshold":0.5,"thresholds":[0.5,0.5,0.5],`:            {err: "threshold and thresholds at once"},
		`"id2label":{"0":"a","1":"b"},"threshold":0.5,`:                  {err: "threshold: thresholds of a model that does not judge each of its labels by itself"},
		`"id2label":{"0":"a"},"threshold":0.5,`:                          {err: "does not judge each"},
		`"problem_type":"regression","num_labels":2,"thresholds":[1,1],`: {err: "does not judge each"},
	} {
		text := strings.Replace(strings.Replace(smallConfig, "{", "{"+more, 1), "BertModel", "BertForSequenceClassification", 1)
		cfg, err := parseConfig(configName, []byte(text))
		switch {
		case c.err == "" && err != nil:
			t.Errorf("%s: %v", more, err)
		case c.err == "":
			if diff := cmp.Diff(c.want, cfg.thresholds.values); diff != "" {
				t.Errorf("%s: %s", more, diff)
			}
		case err == nil || !strings.Contains(err.Error(), c.err):
			t.Errorf("%s: got %v, want %q", more, err, c.err)
		}
	}
	if _, err := parseConfig(configName, []byte(strings.Replace(smallConfig, "{", `{"thresholds":[0.5],`, 1))); err == nil || !strings.Contains(err.Error(), "does not judge") {
		t.Errorf("thresholds of a model without labels: %v", err)
	}
}
