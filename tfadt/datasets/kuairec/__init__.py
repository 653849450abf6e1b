"""KuaiRec: how much of each short video was watched."""
