"""KuaiRand-Pure: clicks on short videos, and how long each was watched."""
