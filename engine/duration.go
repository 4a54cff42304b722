package engine

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

var durationPart = regexp.MustCompile(`^([0-9]{1,18})(ms|s|m|h|d)`)

var durations = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// longest is how far one step may advance; beyond it dates leave the range of
// time.Duration.
const longest = 200 * 365 * 24 * time.Hour

// ParseDuration reads "30s", "5m", "300d" or a sum such as "1d12h".
func ParseDuration(s string) (time.Duration, error) {
	var sum time.Duration
	rest := s
	for rest != "" {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			break
		}
		n, _ := strconv.ParseInt(m[1], 10, 64)
		if n > int64((longest-sum)/durations[m[2]]) {
			return 0, fmt.Errorf("%q is too long; the longest is 200 years", s)
		}
		sum += time.Duration(n) * durations[m[2]]
		rest = rest[len(m[0]):]
	}
	if s == "" || rest != "" {
		return 0, fmt.Errorf("%q is no duration; write 30s, 5m, 2h or 300d", s)
	}
	return sum, nil
}
