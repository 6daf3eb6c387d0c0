"""All commands and flags. What runs them is imported only when it runs, so that every command starts quickly."""

from __future__ import annotations

from importlib import import_module

from meshdojo.istio.istioctl.command import Command, CommandError, Flag, Invocation, Run

HELP = Flag("help", "h", "bool", help="help for istioctl")
GLOBALS = (
    Flag("context", help="Kubernetes configuration context"),
    Flag("istioNamespace", "i", default="istio-system", help="Istio system namespace"),
    Flag("kubeconfig", "c", help="Kubernetes configuration file"),
    Flag("namespace", "n", help="Kubernetes namespace"),
)
_SET = Flag(
    "set",
    "s",
    "strings",
    help="Override an IstioOperator value, e.g. to choose a profile (--set profile=demo)",
)
_REVISION = Flag("revision", "r", help="Control plane revision")
_YES = Flag("skip-confirmation", "y", "bool", help="Do not ask for confirmation; take Yes as the answer.")
_DRY_RUN = Flag("dry-run", type="bool", help="Console/log output only, make no changes.")
_FORCE = Flag("force", type="bool", help="Proceed even with validation errors.")
_FILES = Flag("filename", "f", "strings", help="Path to file containing IstioOperator custom resource", label="strings")
_OUTPUT = Flag("output", "o", help="Output format: one of json|yaml|short", default="short")


def _lazy(module: str, function: str = "run") -> Run:
    """A command that imports its module when it runs."""

    def run(invocation: Invocation) -> int:
        found: Run = getattr(import_module(f"meshdojo.istio.istioctl.{module}"), function)
        return found(invocation)

    return run


def _elsewhere(name: str, short: str) -> Command:
    """A command of the real istioctl that makes no sense here, or not yet."""

    def run(_: Invocation) -> int:
        raise CommandError(
            f"istioctl {name} is not part of the embedded mesh's istioctl. "
            "Use a backend with the real Istio (meshdojo up --backend kind) and its own istioctl."
        )

    return Command(name, short, run, positional=True)


def _proxy_config(name: str, short: str, aliases: tuple[str, ...], *flags: Flag) -> Command:
    return Command(
        name,
        short,
        _lazy("proxy_config", name),
        flags=(*flags, _OUTPUT),
        aliases=aliases,
        arguments="[<type>/]<name>[.<namespace>] [flags]",
        positional=True,
    )


_FQDN = Flag("fqdn", help="Filter by substring of the service's full name")
_PORT = Flag("port", help="Filter by port")
_VERBOSE = Flag("verbose", type="bool", default=True, help="Output more information")

PROXY_CONFIG = Command(
    "proxy-config",
    "Retrieve information about proxy configuration from Envoy [kube only]",
    aliases=("pc",),
    commands=(
        _proxy_config(
            "cluster",
            "Retrieves cluster configuration for the Envoy in the specified pod",
            ("clusters", "c"),
            _FQDN,
            _PORT,
            Flag("direction", help="Filter by direction (inbound, outbound)"),
            Flag("subset", help="Filter by subset"),
        ),
        _proxy_config(
            "endpoint",
            "Retrieves endpoint configuration for the Envoy in the specified pod",
            ("endpoints", "ep"),
            Flag("cluster", help="Filter by the name of the cluster"),
            Flag("address", help="Filter by address"),
            Flag("status", help="Filter by status (healthy, unhealthy)"),
            _PORT,
        ),
        _proxy_config(
            "listener",
            "Retrieves listener configuration for the Envoy in the specified pod",
            ("listeners", "l"),
            _PORT,
            Flag("address", help="Filter by address"),
            Flag("type", help="Filter by type"),
        ),
        _proxy_config(
            "route",
            "Retrieves route configuration for the Envoy in the specified pod",
            ("routes", "r"),
            Flag("name", help="Filter by the name of the route configuration"),
            _VERBOSE,
        ),
        _proxy_config(
            "log",
            "Retrieves logging levels of the Envoy in the specified pod",
            ("o",),
            Flag("level", help="Levels to set: LEVEL for all loggers, or LOGGER:LEVEL,LOGGER:LEVEL,..."),
            Flag("reset", "r", "bool", help="Reset levels to default value (warning)."),
            Flag("selector", "l", help="Label selector"),
        ),
        _proxy_config("secret", "Retrieves secret configuration for the Envoy in the specified pod", ("secrets", "s")),
        _proxy_config("bootstrap", "Retrieves bootstrap configuration for the Envoy in the specified pod", ("b",)),
        _proxy_config("all", "Retrieves all configuration for the Envoy in the specified pod", ("a",)),
    ),
)

INSTALL = Command(
    "install",
    "Applies an Istio manifest, installing or reconfiguring Istio on a cluster.",
    _lazy("install"),
    aliases=("apply",),
    long="The install command generates an Istio install manifest and applies it to a cluster.",
    flags=(
        _DRY_RUN,
        _FILES,
        _FORCE,
        Flag("readiness-timeout", type="duration", default="5m0s", help="Maximum time to wait until all is ready."),
        Flag("revision", "r", help="Target control plane revision for the command."),
        _SET,
        _YES,
        Flag("verify", type="bool", help="Verify the Istio control plane after installation/in-place upgrade"),
    ),
    examples="  # Install the demo profile and don't wait for confirmation\n"
    "  istioctl install --set profile=demo --skip-confirmation",
    positional=True,
)
UNINSTALL = Command(
    "uninstall",
    "Uninstall Istio from a cluster",
    _lazy("uninstall"),
    long="The uninstall command uninstalls Istio from a cluster",
    flags=(
        _DRY_RUN,
        Flag("filename", "f", help="The filename of the IstioOperator CR."),
        _FORCE,
        Flag("purge", type="bool", help="Delete all Istio related sources for all versions"),
        Flag("revision", "r", help="Target control plane revision for the command."),
        _SET,
        _YES,
        Flag("verbose", "v", "bool", help="Verbose output."),
    ),
    positional=True,
)
VERSION = Command(
    "version",
    "Prints out build version information",
    _lazy("version"),
    flags=(
        Flag("output", "o", help="One of 'yaml' or 'json'."),
        Flag("remote", type="bool", default=True, help="Use --remote=false to suppress control plane check"),
        _REVISION,
        Flag("short", "s", "bool", default=True, help="Use --short=false to generate full version information"),
    ),
)
PROXY_STATUS = Command(
    "proxy-status",
    "Retrieves the synchronization status of each Envoy in the mesh",
    _lazy("proxy_status"),
    aliases=("ps",),
    arguments="[<type>/]<name>[.<namespace>] [flags]",
    flags=(
        Flag("output", "o", default="table", help="Output format: table or json"),
        Flag("revision", "r", help="Control plane revision"),
        Flag("verbosity", "v", default="0", help="Verbosity level", label="int"),
    ),
    positional=True,
)
KUBE_INJECT = Command(
    "kube-inject",
    "Inject Istio sidecar into Kubernetes pod resources",
    _lazy("kube_inject"),
    flags=(
        Flag("filename", "f", help="Input Kubernetes resource filename"),
        Flag("output", "o", help="Modified output Kubernetes resource filename"),
        Flag("injectConfigFile", help="Injection configuration filename"),
        Flag("meshConfigFile", help="Mesh configuration filename"),
        Flag("valuesFile", help="Injection values configuration filename."),
        Flag("revision", "r", help="Control plane revision"),
    ),
)
MANIFEST = Command(
    "manifest",
    "Commands related to Istio manifests",
    commands=(
        Command(
            "generate",
            "Generates an Istio install manifest",
            _lazy("manifest"),
            flags=(
                Flag("cluster-specific", type="bool", help="Has no effect here."),
                _DRY_RUN,
                _FILES,
                _FORCE,
                Flag("output", "o", help="Manifest output file; standard output if not given."),
                Flag("revision", "r", help="Target control plane revision for the command."),
                _SET,
            ),
            positional=True,
        ),
    ),
)
ANALYZE = Command(
    "analyze",
    "Analyze Istio configuration and print validation messages",
    _lazy("analyze"),
    arguments="<file>... [flags]",
    flags=(
        Flag("all-namespaces", "A", "bool", help="Analyze all namespaces"),
        Flag("color", type="bool", help="Default false here; messages are plain text"),
        Flag("failure-threshold", default="Error", help="The severity level at which to exit with an error code"),
        Flag("list-analyzers", "L", "bool", help="List the analyzers available to run."),
        Flag("output", "o", default="log", help="Output format: one of [log json yaml]"),
        Flag("output-threshold", default="Info", help="The severity level at which to display messages."),
        Flag("recursive", "R", "bool", help="Process directory arguments recursively."),
        Flag("suppress", "S", "strings", help="Suppress messages by code, such as IST0101=VirtualService a.default"),
        Flag("use-kube", "k", "bool", default=True, help="Use live Kubernetes cluster for analysis."),
        _REVISION,
    ),
    positional=True,
)
EXPERIMENTAL = Command(
    "experimental",
    "Experimental commands that may be modified or deprecated",
    aliases=("x", "exp"),
    commands=(
        Command(
            "check-inject",
            "Check the injection status or inject-ability of a given resource, explains why it is (or will be) "
            "injected or not",
            _lazy("check_inject"),
            flags=(
                Flag(
                    "labels",
                    "l",
                    help="Check namespace and label pairs injection status, split multiple labels by commas",
                ),
            ),
            arguments="[<type>/]<name>[.<namespace>] [flags]",
            positional=True,
        ),
        Command(
            "describe",
            "Describe resource and related Istio configuration",
            aliases=("des",),
            commands=(
                Command(
                    "pod",
                    "Describe pods and their Istio configuration [kube-only]",
                    _lazy("describe", "pod"),
                    aliases=("po",),
                    arguments="<pod> [flags]",
                    positional=True,
                ),
                Command(
                    "service",
                    "Describe services and their Istio configuration [kube-only]",
                    _lazy("describe", "service"),
                    aliases=("svc",),
                    arguments="<svc> [flags]",
                    positional=True,
                ),
            ),
        ),
        Command("precheck", "Check whether Istio can safely be installed or upgraded", _lazy("precheck")),
    ),
)

ROOT = Command(
    "istioctl",
    "Istio control interface.",
    long="Istio configuration command line utility for service operators to\ndebug and diagnose their Istio mesh.",
    commands=(
        ANALYZE,
        _elsewhere("admin", "Manage control plane (istiod) configuration"),
        _elsewhere("bug-report", "Cluster information and log capture support tool."),
        Command(
            "completion",
            "Generate the autocompletion script for the specified shell",
            _lazy("completion"),
            arguments="<shell>",
            positional=True,
        ),
        _elsewhere("create-remote-secret", "Create a secret for access to remote Kubernetes apiservers"),
        _elsewhere("dashboard", "Access to Istio web UIs"),
        EXPERIMENTAL,
        INSTALL,
        KUBE_INJECT,
        MANIFEST,
        PROXY_CONFIG,
        PROXY_STATUS,
        _elsewhere("remote-clusters", "Lists the remote clusters each istiod instance is connected to."),
        _elsewhere("tag", "Command group used to interact with revision tags"),
        UNINSTALL,
        _elsewhere("upgrade", "Upgrade Istio control plane in-place"),
        _elsewhere("validate", "Validate Istio policy and rules files"),
        VERSION,
        _elsewhere("waypoint", "Manage waypoint configuration"),
        _elsewhere("ztunnel-config", "Update or retrieve current Ztunnel configuration."),
    ),
)
