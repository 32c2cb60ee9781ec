package kubernetes

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Each selector selects the pods of one component, and each port is the port of one of their
// containers.
func TestServicesSelectPods(t *testing.T) {
	m := load(t)
	pods := m.pods()
	selected := func(selector map[string]string) (found []string) {
		for name, pod := range pods {
			matches := true
			for key, value := range selector {
				matches = matches && pod.Labels[key] == value
			}
			if matches {
				found = append(found, name)
			}
		}
		return found
	}
	for name, want := range map[string]string{"distributor": "distributor", "distributors": "distributor", "distributor-admin": "distributor", "analyzers": "analyzer"} {
		service := m.services[name]
		if service == nil || !slices.Equal(selected(service.Spec.Selector), []string{want}) {
			t.Fatalf("the service %s selects other pods than %s: %+v", name, want, service)
		}
		for _, port := range service.Spec.Ports {
			at := slices.IndexFunc(pods[want].Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return intstr.FromString(p.Name) == port.TargetPort })
			if at < 0 || pods[want].Spec.Containers[0].Ports[at].ContainerPort != port.Port {
				t.Errorf("%s: the port %v is none of the container", name, port)
			}
		}
	}
	if len(m.services) != 4 || m.services["analyzers"].Spec.ClusterIP != corev1.ClusterIPNone || m.services[m.statefulSet.Spec.ServiceName].Spec.ClusterIP != corev1.ClusterIPNone {
		t.Error("a service is not headless, or nobody asked for it")
	}
	if !slices.Equal(selected(m.statefulSet.Spec.Selector.MatchLabels), []string{"distributor"}) || !slices.Equal(selected(m.deployment.Spec.Selector.MatchLabels), []string{"analyzer"}) {
		t.Error("a controller selects other pods")
	}
	for name, budget := range m.budgets {
		if !slices.Equal(selected(budget.Spec.Selector.MatchLabels), []string{name}) {
			t.Errorf("the budget %s is one of other pods", name)
		}
	}
	if len(m.budgets) != 2 {
		t.Errorf("%d budgets", len(m.budgets))
	}
}

// Pods are ended only after the product has stopped gracefully, and have only the permissions to
// run it.
func TestPods(t *testing.T) {
	m := load(t)
	for name, pod := range m.pods() {
		c := pod.Spec.Containers[0]
		if c.LivenessProbe == nil || c.ReadinessProbe == nil || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s lacks a probe or a limit", name)
		}
		s, p := c.SecurityContext, pod.Spec.SecurityContext
		if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || !*p.RunAsNonRoot || *p.RunAsUser != 65532 || p.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault || *pod.Spec.AutomountServiceAccountToken {
			t.Errorf("%s may do more than it needs", name)
		}
	}
	values := environment(m.statefulSet.Spec.Template.Spec.Containers[0])
	if stop := number(t, values["SHUTDOWN_TIMEOUT_SEC"]); *m.statefulSet.Spec.Template.Spec.TerminationGracePeriodSeconds < stop+5 {
		t.Errorf("distributors are killed before %d s", stop)
	}
	if values["DATA_DIR"] != "/data" || m.statefulSet.Spec.Template.Spec.Containers[0].VolumeMounts[0].MountPath != "/data" || m.statefulSet.Spec.VolumeClaimTemplates[0].Name != "data" {
		t.Error("the journal is not on the volume")
	}
	analyzer := m.deployment.Spec.Template.Spec
	if pause := analyzer.Containers[0].Lifecycle.PreStop.Sleep.Seconds; *analyzer.TerminationGracePeriodSeconds < pause+15 || pause < 10 {
		t.Errorf("analyzers have %d s", pause)
	}
	if m.deployment.Spec.Replicas != nil {
		t.Error("applying the manifest sets the number of analyzers back")
	}
}

// All scalers ask for the group that the distributors have, and have the group's bounds.
func TestScalersFitTheDistributor(t *testing.T) {
	m := load(t)
	pod := m.statefulSet.Spec.Template.Spec
	values := environment(pod.Containers[0])
	analyzers, _, _ := strings.Cut(strings.TrimPrefix(values["ANALYZERS"], "dns+"), "=")
	target, err := url.Parse(analyzers)
	if err != nil || m.services[target.Hostname()] == nil {
		t.Fatalf("ANALYZERS names no service: %s", values["ANALYZERS"])
	}
	group := target.Hostname() // its id, since ANALYZERS has none
	lowest, highest := int32(number(t, values["AUTOSCALE_MIN"])), int32(number(t, values["AUTOSCALE_MAX"]))
	for name, one := range m.scaled {
		if *one.Spec.MinReplicaCount != lowest || *one.Spec.MaxReplicaCount != highest || one.Spec.ScaleTargetRef.Name != m.deployment.Name || one.Spec.Fallback == nil || len(one.Spec.Triggers) != 1 {
			t.Errorf("%s: %+v", name, one.Spec)
		}
		for key := range one.Spec.Triggers[0].Metadata {
			if !slices.Contains(triggerMetadata[name], key) {
				t.Errorf("the scaler %s has no setting %s", name, key)
			}
		}
	}
	if names := slices.Sorted(maps.Keys(m.scaled)); !slices.Equal(names, []string{"metrics-api", "prometheus"}) {
		t.Fatalf("%v", names)
	}
	api := m.scaled["metrics-api"].Spec.Triggers[0]
	asked, err := url.Parse(api.Metadata["url"])
	if err != nil || asked.Query().Get("group") != group || asked.Path != "/v1/scale" || api.Metadata["valueLocation"] != "desired" {
		t.Errorf("%v, %v", asked, err)
	}
	if service := m.services[strings.TrimSuffix(asked.Hostname(), ".logstreamer")]; service == nil || strconv.Itoa(int(service.Spec.Ports[0].Port)) != asked.Port() || !strings.HasSuffix(values["ADMIN_ADDR"], ":"+asked.Port()) {
		t.Errorf("%v is not the admin API", asked)
	}
	secret := pod.Volumes[0].Secret
	credential := m.credential.Spec.SecretTargetRef[0]
	if api.AuthenticationRef.Name != m.credential.Name || credential.Parameter != "token" || credential.Name != secret.SecretName ||
		values["ADMIN_TOKENS_FILE"] != pod.Containers[0].VolumeMounts[1].MountPath+"/"+secret.Items[0].Path {
		t.Errorf("the tokens are elsewhere: %+v", credential)
	}
	if query := m.scaled["prometheus"].Spec.Triggers[0].Metadata["query"]; query != `max(distributor_desired_analyzers{group="`+group+`"})` {
		t.Error(query)
	}
	hpa := m.autoscaler.Spec
	if metric := hpa.Metrics[0].External.Metric; metric.Name != "distributor_desired_analyzers" || metric.Selector.MatchLabels["group"] != group || *hpa.MinReplicas != lowest || hpa.MaxReplicas != highest || hpa.ScaleTargetRef.Name != m.deployment.Name {
		t.Errorf("%+v", hpa)
	}
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
